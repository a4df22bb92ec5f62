"""Models that leave the project: a folder with a card and checksums, and what a program does with one."""
