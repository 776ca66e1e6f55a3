"""The window's work without a window: `maskloop train`, `predict`, `export`, ...

Standard output carries the answer; progress and warnings go to standard error, so that `--json` prints one
JSON object and nothing else. Exit code 0: done; 1: one sentence on standard error says what failed; 2: the
command was not understood.
"""
