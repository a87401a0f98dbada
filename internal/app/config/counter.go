package config

import (
	"fmt"
	"os/user"
	"strconv"
)

// Counter tells the services at which programs of this machine ask about log-ins.
func (s Service) Counter() bool { return s == AuthService || s == Saslauthd }

// Owners are the numbers of the user and the group that a socket is given to; -1 for
// none.
func (l Listener) Owners() (uid, gid int, err error) {
	uid, gid = -1, -1
	if l.SocketUser != "" {
		if uid, err = numberOf(l.SocketUser, func(name string) (string, error) {
			u, err := user.Lookup(name)
			if err != nil {
				return "", err
			}
			return u.Uid, nil
		}); err != nil {
			return -1, -1, fmt.Errorf("socket_user: %w", err)
		}
	}
	if l.SocketGroup != "" {
		if gid, err = numberOf(l.SocketGroup, func(name string) (string, error) {
			g, err := user.LookupGroup(name)
			if err != nil {
				return "", err
			}
			return g.Gid, nil
		}); err != nil {
			return -1, -1, fmt.Errorf("socket_group: %w", err)
		}
	}
	return uid, gid, nil
}

// numberOf is the number of a name, or of a number.
func numberOf(name string, find func(string) (string, error)) (int, error) {
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(n), nil
	}
	text, err := find(name)
	if err != nil {
		return -1, err
	}
	return strconv.Atoi(text)
}

// counters wants Unix sockets for those services: over them the system says who asks.
func (k *checker) counters(key string, l Listener) {
	if l.Service.Counter() && l.Address.Path == "" {
		k.failf(key+".address", `the service %q needs a Unix socket, such as "unix:/var/spool/postfix/private/auth"`, string(l.Service))
	}
	if l.Address.Path == "" && (l.SocketUser != "" || l.SocketGroup != "") {
		k.failf(key+".socket_user", "is for Unix sockets")
		return
	}
	if _, _, err := l.Owners(); err != nil {
		k.failf(key+".socket_user", "%v", err)
	}
}
