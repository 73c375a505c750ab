"""What touches the world: the Secret with the certificates, and who has to trust them."""
