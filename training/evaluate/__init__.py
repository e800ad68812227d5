"""The writer benchmark: recipes and baselines on the same trials, as a table and as JSON.

::

    run       what is asked for, from trials to the table; what is kept is not scored again
    corpus    whose pictures they are, read once for each process
    scoring   one enrolment, and what it says of the pictures of a trial
    kept      the scores of an enrolment, in a file that is named after all that decides them
    summary   scores to figures with intervals, and to probes
    table     figures as Markdown
"""
