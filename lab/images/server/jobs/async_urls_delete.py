"""`python3 -m jobs.async_urls_delete`, as Compose files for the official image call it."""

from clearml_lab.jobs.async_urls_delete import main

if __name__ == "__main__":
    main()
