package directory

import (
	"fmt"

	stored "facteur/internal/mail/password"
)

// Verify tells whether a password is the one that a text was made of which somebody
// else keeps, in one of the forms of package password.
func Verify(text, password string) (bool, error) {
	s, err := stored.Parse(text, "")
	if err != nil {
		return false, fmt.Errorf("directory: %w", err)
	}
	return s.Matches(password), nil
}
