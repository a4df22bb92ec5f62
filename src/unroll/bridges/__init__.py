"""Ways from this project's files to other libraries, each with no more than that library needs."""
