"""The four stages: data is prepared and validated, a model is trained, and promoted when it beats the champion."""
