package program

import (
	"fmt"
	"os/exec"
)

// Missing tells what a program would need that is not on this machine: its file, the
// user that it is to run as, or his group. Path and user are as
// in Settings.
func Missing(path, user string) []error {
	var missing []error
	if _, err := exec.LookPath(path); err != nil {
		missing = append(missing, fmt.Errorf("its program can't be run: %w", err))
	}
	if user != "" {
		if _, err := findAccount(user, 0); err != nil {
			missing = append(missing, err)
		}
	}
	return missing
}
