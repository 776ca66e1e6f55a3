"""What a trained network says of images of any size, and folders of them written into files."""
