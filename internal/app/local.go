package app

import (
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"facteur/internal/app/config"
)

// bindable tells whether a listener is to be opened. The standard one for programs of
// this machine needs a directory that only root can make; without it, the server
// serves all the same, and says so.
func (a *App) bindable(l config.Listener) bool {
	if !l.Standard() {
		return true
	}
	dir := filepath.Dir(l.Address.Path)
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		// The umask keeps all that we make from others; this is made for them. What
		// somebody else made, he has opened for whom he wished.
		os.Chmod(dir, 0o755)
		err = writable(dir)
	}
	if err != nil {
		a.note("facteur/master", "programs of this machine can't hand over mail by the command sendmail: "+err.Error()+
			"; a [[listen]] with service = \"local\" and another address lets them")
	}
	return err == nil
}

func writable(dir string) error {
	probe, err := os.CreateTemp(dir, ".probe-")
	if err != nil {
		return err
	}
	probe.Close()
	return os.Remove(probe.Name())
}

// userName is what the system calls a user; "" when it knows none with that number.
func userName(uid uint32) string {
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return ""
	}
	return u.Username
}
