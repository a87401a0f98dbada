package directory

// Verify tells whether a password is the one that a stored text was made of.
func Verify(stored, password string) (bool, error) { return matches(stored, password) }
