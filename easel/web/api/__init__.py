"""What programs speak: easel's own REST, A1111's, and OpenAI's; the same queue behind all three."""
