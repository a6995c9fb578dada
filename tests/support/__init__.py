"""What the tests of several services share: real servers, databases, tokens, running apps."""
