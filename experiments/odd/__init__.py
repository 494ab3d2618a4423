"""The model described by the ODD protocol, written from the code and a population's figures."""
