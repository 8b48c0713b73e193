"""What bin/build makes beside the program, a file each."""
