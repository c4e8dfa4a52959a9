"""The life of a job: from the request to the posted result, and its recovery after a restart."""
