package program

import "os/exec"

// Find tells why a program could not be started now: there is no such file, or it may
// not be run. Path is as in Settings.
func Find(path string) error {
	_, err := exec.LookPath(path)
	return err
}
