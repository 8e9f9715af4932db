"""Other wires than chat, translated into it and back.

The engine is asked one way, so that what holds for a chat (the fields that get through, the
tenant's cache salt, the counts) holds for these. Pure: nothing here waits, stores or sends.
"""
