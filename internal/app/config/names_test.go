package config

import (
	"fmt"
	"strings"
	"testing"
)

// TestPostfixNames: who types what he knows from main.cf is told our name for it.
func TestPostfixNames(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"mynetworks = []":                                       `f:1:1: unknown key "mynetworks"; what Postfix calls so is trusted_networks here`,
		"relayhost = 'x'":                                       `what Postfix calls so is outbound.smarthost here`,
		"myhostname = 'x'":                                      `what Postfix calls so is hostname here`,
		"[session]\nsmtpd_hard_error_limit = 5":                 `unknown key "session.smtpd_hard_error_limit"; what Postfix calls so is session.hard_error_limit here`,
		"smtpd_client_connection_rate_limit = 5":                `limits.connection_rate here`,
		"[[policy]]\nsmtpd_policy_service_default_action = 'x'": `policy.default_action here`,
		"soft_bounce = true":                                    `access.soft_bounce here`,
		"hostnam = 'x'":                                         `did you mean "hostname"?`,
	} {
		_, err := Parse("f", []byte(in))
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%q: %v", in, err)
		}
	}
}
