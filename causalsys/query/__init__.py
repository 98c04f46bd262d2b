"""ASK: abduct, act, predict."""
