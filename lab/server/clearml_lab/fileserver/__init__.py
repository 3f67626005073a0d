"""The fileserver: files by path, for those whose token the apiserver accepts."""
