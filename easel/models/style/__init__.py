"""Neural style transfer: a picture optimised until a network sees one picture's content in another's style."""
