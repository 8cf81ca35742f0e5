"""What the words mean: pure rules and values, standard library only.

No clock, disk, network or environment is read here; whoever needs one hands the value in.
"""
