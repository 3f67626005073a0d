"""The web server: nginx in front of the apiserver and the fileserver, and one page that says what it is."""
