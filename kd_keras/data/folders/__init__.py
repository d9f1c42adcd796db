"""Folders of images and of labels that users have."""
