"""The engine over the native kernel, which reads lines by a program that is compiled from their format.

`program` compiles, `load` finds the kernel, `memory` is what it works in, `engine` answers what it asks. What the
kernel does not like is left to the reference.
"""
