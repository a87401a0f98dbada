package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"facteur/internal/app/control"
	"facteur/internal/net/authclient"
)

// saslauthdTime is how long a question to a socket may take.
const saslauthdTime = 30 * time.Second

// testsaslauthd is Cyrus's command of that name. Without -f our own server is asked.
func (c *command) testsaslauthd(ctx context.Context, args []string) error {
	q := saslQuestion{service: "imap", times: 1}
	options, _, err := getopt(args, "u:p:r:s:f:R:c:")
	if err != nil {
		return &usageError{err.Error(), saslUsage}
	}
	for _, o := range options {
		switch o.letter {
		case 'u':
			q.user = o.value
		case 'p':
			q.password = o.value
		case 'r':
			q.realm = o.value
		case 's':
			q.service = o.value
		case 'c': // which Cyrus's does not have
			if err := c.useSettings(o.value); err != nil {
				return err
			}
		case 'f':
			q.socket = o.value
		case 'R':
			if q.times, err = strconv.Atoi(o.value); err != nil || q.times < 1 || q.times > 10000 {
				return &usageError{"-R: expected a number up to 10000", saslUsage}
			}
		}
	}
	if q.user == "" || q.password == "" {
		return &usageError{"", saslUsage}
	}
	status := 0
	for i := range q.times {
		ok, err := c.askSasl(ctx, q)
		if err != nil {
			return err
		}
		if ok {
			fmt.Fprintf(c.out, "%d: OK \"Success.\"\n", i)
		} else {
			fmt.Fprintf(c.out, "%d: NO \"authentication failed\"\n", i)
			status = saslFailed
		}
	}
	if status != 0 {
		return &toolError{status}
	}
	return nil
}

const (
	saslUsage  = "testsaslauthd -u username -p password [-r realm] [-s servicename] [-f socket path] [-R repeatnum]"
	saslFailed = 255
)

type saslQuestion struct {
	user, password, realm, service, socket string
	times                                  int
}

// askSasl asks the socket that was named, or our own server.
func (c *command) askSasl(ctx context.Context, q saslQuestion) (bool, error) {
	if q.socket == "" {
		user := q.user
		if q.realm != "" && !strings.Contains(user, "@") {
			user += "@" + q.realm
		}
		t, err := c.tryLogin(ctx, control.Attempt{Service: q.service, User: user, Password: q.password})
		return t.Result == "ok", err
	}
	conn, err := net.DialTimeout("unix", q.socket, saslauthdTime)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(saslauthdTime)) //nolint:errcheck // a socket that is open takes it
	answer, err := authclient.Saslauthd(conn, q.user, q.password, q.service, q.realm)
	return strings.HasPrefix(answer, "OK"), err
}
