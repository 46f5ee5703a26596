"""OpenAI's wire format, which hosted providers and llama.cpp's own server both speak: requests out, chunks in."""
