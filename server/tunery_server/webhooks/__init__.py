"""Telling a tenant's own server that a job or a batch has ended.

``records/webhooks.py`` writes the event together with the end. Here is the rest: where events may
go (``destinations``), what is sent (``signing``), how (``poster``), when and how often
(``sender``), and what a tenant may ask for (``service``).
"""
