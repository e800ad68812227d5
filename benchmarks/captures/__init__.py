"""Is the hand known again however its pictures were taken, and is nothing else taken for it?"""
