"""Control of distributed energy resources (2.1 R): which control holds, and what it makes of a power."""
