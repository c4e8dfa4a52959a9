"""How the embedded model was made: drawings, training, evaluation."""
