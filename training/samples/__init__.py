"""The bundled pictures, and the program that drew them."""
