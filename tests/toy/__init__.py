"""A kind of job that only the tests know: what a new kind takes."""
