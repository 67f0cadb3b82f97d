"""What both backends' GPU kernels share: how a pass is cut into programs, and how the faster way is found."""
