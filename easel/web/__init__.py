"""The studio in the browser: a face beside the command line, with a queue, pages and APIs over the same jobs.

Django knows the people, what they put in and what the queue holds; a run itself is a folder, as everywhere in easel,
and the tables of pictures and scores are an index over these folders.
"""
