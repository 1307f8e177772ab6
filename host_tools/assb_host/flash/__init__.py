"""Putting firmware and configuration on a board and proving that they arrived."""
