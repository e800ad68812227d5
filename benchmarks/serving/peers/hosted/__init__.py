"""Code that runs inside the peers, with their packages and none of ours."""
