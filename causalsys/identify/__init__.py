"""May this question be answered from these data under this graph?"""
