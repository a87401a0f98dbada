package postfix

import (
	"regexp"
	"strings"

	"facteur/internal/app/takeover"
)

// form is how a value is said in facteur.toml.
type form int

const (
	inParts   form = iota // not by itself: code of ours takes it, with others
	asText                // as it is
	asNumber              // 0 stays what it is
	asSwitch              // yes and no
	asTime                // a bare number counts seconds
	asHours               // a bare number counts hours
	asDays                // a bare number counts days
	asSize                // bytes
	asWords               // a list
	asMaps                // tables, in their order
	asNetwork             // networks
	asAddress             // an address; a bare name gets the origin
)

// parameter is what a name of main.cf means here.
type parameter struct {
	name string
	key  string // the setting; "" where there is none
	form form
	why  string // for the report and the comment
}

// parameters are those that have a setting of the same meaning.
var parameters = []parameter{
	{"myhostname", "hostname", inParts, ""},
	{"mynetworks", "trusted_networks", inParts, ""},
	{"message_size_limit", "message_size_limit", asSize, ""},
	{"smtpd_recipient_limit", "recipient_limit", asNumber, ""},

	{"recipient_delimiter", "addresses.recipient_delimiter", asText, ""},
	{"virtual_alias_maps", "addresses.virtual_alias_maps", asMaps, ""},
	{"alias_maps", "addresses.alias_maps", asMaps, ""},
	{"local_recipient_maps", "addresses.local_recipient_maps", inParts, ""},
	{"relay_recipient_maps", "addresses.relay_recipient_maps", asMaps, ""},
	{"relocated_maps", "addresses.relocated_maps", asMaps, ""},
	{"luser_relay", "addresses.luser_relay", asText, ""},
	{"myorigin", "addresses.origin", inParts, ""},
	{"virtual_alias_expansion_limit", "addresses.expansion_limit", asNumber, ""},
	{"virtual_alias_recursion_limit", "addresses.recursion_limit", asNumber, ""},
	{"owner_request_special", "addresses.owner_request_special", asSwitch, ""},
	{"expand_owner_alias", "addresses.expand_owner_alias", asSwitch, ""},
	{"allow_mail_to_commands", "addresses.allow_commands", asWords, ""},
	{"allow_mail_to_files", "addresses.allow_files", asWords, ""},
	{"default_privs", "addresses.default_user", asText, ""},
	{"command_time_limit", "unix.command_time_limit", asTime, ""},
	{"proxy_interfaces", "addresses.proxy_interfaces", asWords, ""},

	{"canonical_maps", "rewrite.canonical_maps", asMaps, ""},
	{"sender_canonical_maps", "rewrite.sender_canonical_maps", asMaps, ""},
	{"recipient_canonical_maps", "rewrite.recipient_canonical_maps", asMaps, ""},
	{"canonical_classes", "rewrite.canonical_classes", asWords, ""},
	{"sender_canonical_classes", "rewrite.sender_canonical_classes", asWords, ""},
	{"recipient_canonical_classes", "rewrite.recipient_canonical_classes", asWords, ""},
	{"masquerade_domains", "rewrite.masquerade_domains", asWords, ""},
	{"masquerade_exceptions", "rewrite.masquerade_exceptions", asWords, ""},
	{"masquerade_classes", "rewrite.masquerade_classes", asWords, ""},
	{"smtp_generic_maps", "rewrite.generic_maps", asMaps, ""},
	{"always_bcc", "rewrite.always_bcc", asAddress, ""},
	{"sender_bcc_maps", "rewrite.sender_bcc_maps", asMaps, ""},
	{"recipient_bcc_maps", "rewrite.recipient_bcc_maps", asMaps, ""},
	{"append_dot_mydomain", "rewrite.append_dot_mydomain", asSwitch, ""},

	{"smtpd_delay_reject", "access.delay_reject", asSwitch, ""},
	{"soft_bounce", "access.soft_bounce", asSwitch, ""},
	{"smtpd_reject_unlisted_sender", "access.reject_unlisted_sender", asSwitch, ""},

	{"smtpd_sender_login_maps", "submission.sender_logins", inParts, ""},

	{"relayhost", "outbound.smarthost", inParts, ""},
	{"transport_maps", "outbound.transport_maps", asMaps, ""},
	{"sender_dependent_default_transport_maps", "outbound.sender_transport_maps", asMaps, ""},
	{"sender_dependent_relayhost_maps", "outbound.sender_relay_maps", asMaps, ""},
	{"smtp_sasl_password_maps", "outbound.password_maps", inParts, ""},
	{"smtp_helo_name", "outbound.helo", asText, ""},
	{"smtp_address_preference", "outbound.address_preference", asText, ""},
	{"smtp_bind_address", "outbound.bind_address", inParts, ""},
	{"smtp_bind_address6", "outbound.bind_address", inParts, ""},
	{"smtp_connection_reuse_count_limit", "outbound.connection_reuse_count", inParts, ""},
	{"smtp_connection_reuse_time_limit", "outbound.connection_reuse_time", asTime, ""},
	{"smtp_connection_cache_time_limit", "outbound.connection_idle_time", asTime, ""},
	{"default_destination_concurrency_limit", "outbound.destination_concurrency", asNumber, ""},
	{"initial_destination_concurrency", "outbound.initial_destination_concurrency", asNumber, ""},
	{"default_destination_concurrency_failed_cohort_limit", "outbound.destination_concurrency_failed_cohort_limit", asNumber, ""},
	{"default_destination_rate_delay", "outbound.destination_rate_delay", asTime, ""},
	{"default_destination_recipient_limit", "outbound.destination_recipient_limit", asNumber, ""},
	{"default_process_limit", "outbound.concurrency", asNumber, "Of incoming connections, limits.connections is the bound"},
	{"smtp_tls_security_level", "outbound.tls_security_level", inParts, ""},
	{"smtp_tls_policy_maps", "outbound.tls_policy_maps", asMaps, ""},
	{"smtp_tls_CAfile", "outbound.tls_ca_file", inParts, ""},
	{"smtp_tls_loglevel", "outbound.tls_loglevel", inParts, ""},
	{"smtp_tls_protocols", "outbound.tls_min_version", inParts, ""},

	{"minimal_backoff_time", "queue.minimal_backoff_time", asTime, ""},
	{"maximal_backoff_time", "queue.maximal_backoff_time", asTime, ""},
	{"maximal_queue_lifetime", "queue.maximal_queue_lifetime", asDays, ""},
	{"bounce_queue_lifetime", "queue.bounce_queue_lifetime", asDays, ""},
	{"delay_warning_time", "queue.delay_warning_time", asHours, ""},
	{"queue_minfree", "queue.minimum_free", inParts, ""},

	{"bounce_template_file", "notices.template_file", asText, ""},
	{"bounce_size_limit", "notices.size_limit", asSize, ""},
	{"notify_classes", "notices.classes", asWords, ""},
	{"bounce_notice_recipient", "notices.bounce_recipient", asAddress, ""},
	{"2bounce_notice_recipient", "notices.double_bounce_recipient", asAddress, ""},
	{"delay_notice_recipient", "notices.delay_recipient", asAddress, ""},
	{"error_notice_recipient", "notices.error_recipient", asAddress, ""},

	{"smtpd_client_event_limit_exceptions", "limits.exempt", asNetwork, ""},
	{"smtpd_client_connection_count_limit", "limits.connections_per_client", inParts, ""},
	{"smtpd_client_connection_rate_limit", "limits.connection_rate", inParts, ""},
	{"anvil_rate_time_unit", "limits.rate_time_unit", asTime, ""},

	{"smtputf8_enable", "session.smtputf8", asSwitch, ""},
	{"smtpd_discard_ehlo_keywords", "session.discard_ehlo_keywords", asWords, ""},
	{"strict_rfc821_envelopes", "session.strict_rfc821_envelopes", asSwitch, ""},
	{"smtpd_authorized_xclient_hosts", "session.xclient_hosts", asNetwork, ""},
	{"smtpd_authorized_xforward_hosts", "session.xforward_hosts", asNetwork, ""},
	{"fast_flush_domains", "session.etrn_domains", inParts, ""},
	{"smtpd_soft_error_limit", "session.soft_error_limit", asNumber, ""},
	{"smtpd_error_sleep_time", "session.error_sleep_time", asTime, ""},
	{"smtpd_hard_error_limit", "session.hard_error_limit", asNumber, ""},
	{"smtpd_junk_command_limit", "session.junk_command_limit", asNumber, ""},
	{"smtpd_client_message_rate_limit", "session.client_message_rate", inParts, ""},
	{"smtpd_client_recipient_rate_limit", "session.client_recipient_rate", inParts, ""},

	{"postscreen_greet_wait", "pregreet.greet_wait", asTime, ""},
	{"postscreen_greet_banner", "pregreet.greet_banner", asText, ""},
	{"postscreen_greet_action", "pregreet.greet_action", asText, ""},
	{"postscreen_non_smtp_command_action", "pregreet.non_smtp_command_action", asText, ""},
	{"postscreen_bare_newline_action", "pregreet.bare_newline_action", asText, ""},
	{"postscreen_pipelining_action", "pregreet.pipelining_action", asText, ""},

	{"smtpd_tls_cert_file", "tls.certificate", inParts, ""},
	{"smtpd_tls_key_file", "tls.key", inParts, ""},
	{"smtpd_milters", "milter.address", inParts, ""},
	{"milter_default_action", "milter.default_action", inParts, ""},
	{"milter_connect_timeout", "milter.connect_timeout", inParts, ""},
	{"milter_command_timeout", "milter.command_timeout", inParts, ""},
	{"milter_content_timeout", "milter.content_timeout", inParts, ""},
}

// remark is what is said of parameters that have no setting of their own.
type remark struct {
	names   string // a pattern for the whole name
	verdict takeover.Verdict
	why     string
	key     string
}

// remarks are asked in their order.
var remarks = []remark{
	{`alias_database|newaliases_path|berkeley_db_.*|lmdb_map_size|default_database_type|proxy_read_maps|proxy_write_maps`, takeover.NotNeeded, "the texts of tables are read; nothing is compiled", ""},
	{`(command|daemon|data|html|manpage|meta|queue|readme|sample|shlib|process_id|multi_instance)_director(y|ies)|sendmail_path|mailq_path|setgid_group|mail_owner|openssl_path|alternate_config_directories`, takeover.NotNeeded, "facteur is one program with one directory (data_dir)", ""},
	{`compatibility_level|backwards_bounce_logfile_compatibility`, takeover.NotNeeded, "it decided what Postfix's other defaults are, and that is what was read", ""},
	{`biff`, takeover.NotNeeded, "new mail is told over IMAP (IDLE, NOTIFY)", ""},
	{`smtpd_banner`, takeover.NotNeeded, "the greeting is the hostname and ESMTP; it does not name the program", "hostname"},
	{`mail_name|mail_version|mail_release_date`, takeover.NotNeeded, "only said in banners and headers", ""},
	{`disable_vrfy_command`, takeover.NotNeeded, "VRFY tells nobody who has an account", ""},
	{`smtpd_helo_required`, takeover.NotNeeded, "HELO or EHLO is always needed before MAIL", ""},
	{`smtpd_reject_unlisted_recipient`, takeover.NotNeeded, "recipients that nobody has are always refused while the sender is there", ""},
	{`inet_interfaces|inet_protocols`, takeover.Understood, "with master.cf", "listen.address"},
	{`mydomain`, takeover.NotNeeded, "names are written out", ""},
	{`mynetworks_style`, takeover.Understood, "", "trusted_networks"},
	{`mydestination|virtual_alias_domains|virtual_mailbox_domains|relay_domains`, takeover.Understood, "", "domain"},
	{`parent_domain_matches_subdomains`, takeover.Replaced, "in facteur it is said of each domain: subdomains = true, \".example.org\" in tables", ""},
	{`home_mailbox|mail_spool_directory|mailbox_command|mailbox_command_maps|mailbox_transport|mailbox_transport_maps|fallback_transport|fallback_transport_maps|forward_path|require_home_directory|strict_mailbox_ownership|virtual_mailbox_base|virtual_mailbox_maps|virtual_uid_maps|virtual_gid_maps|virtual_minimum_uid|virtual_transport|local_transport`, takeover.Understood, "", "directory"},
	{`mailbox_size_limit|virtual_mailbox_limit`, takeover.Replaced, "quotas are for accounts: mailbox.default_quota, or [[domain]] quota", "mailbox.default_quota"},
	{`mailbox_delivery_lock|virtual_mailbox_lock|deliver_lock_.*|stale_lock_time|sun_mailtool_compatibility`, takeover.NotNeeded, "a Maildir needs no locks", ""},
	{`queue_run_delay|in_flow_delay|transport_retry_time|qmgr_.*|.*_delivery_slot_.*|.*_minimum_delivery_slots|.*_recipient_refill_.*|.*_extra_recipient_limit|default_recipient_limit|.*_recipient_limit|.*_destination_concurrency_(positive|negative)_feedback|destination_concurrency_feedback_debug|hash_queue_.*|.*_transport_rate_delay|queue_file_attribute_count_limit`, takeover.NotNeeded, "each message knows when it is due, and takes its turn; there is nothing to scan", "queue"},
	{`smtp_tls_session_cache_.*|smtp_tls_connection_reuse|smtp_connection_cache_.*|connection_cache_.*`, takeover.Understood, "sessions and connections are used again", "outbound.tls_session_resumption"},
	{`smtpd_tls_session_cache_.*|smtpd_tls_always_issue_session_ids|tls_session_ticket_cipher`, takeover.NotNeeded, "session tickets need no cache on this side", ""},
	{`smtpd_tls_loglevel|smtpd_tls_received_header`, takeover.NotNeeded, "Received fields and journeys tell of the TLS of each session (facteur explain)", ""},
	{`smtpd_tls_(exclude_ciphers|mandatory_exclude_ciphers|ciphers|mandatory_ciphers|eecdh_grade|dh1024_param_file|dh512_param_file)|smtp_tls_(exclude_ciphers|mandatory_exclude_ciphers|ciphers|mandatory_ciphers)|tls_.*_cipherlist|tls_eecdh_.*|tls_preempt_cipherlist`, takeover.Replaced, "only ciphers that are good today are used; an old device gets a listener of its own (listen.tls_ciphers)", "listen.tls_ciphers"},
	{`smtpd_tls_(mandatory_)?protocols`, takeover.Replaced, "TLS 1.2 and newer; an old device gets a listener of its own", "listen.tls_min_version"},
	{`smtp_tls_mandatory_protocols`, takeover.Replaced, "where TLS is demanded it is at least 1.2", "outbound.tls_min_version"},
	{`smtpd_tls_CAfile|smtpd_tls_CApath|smtpd_tls_ask_ccert|smtpd_tls_ccert_verifydepth|smtpd_tls_fingerprint_digest`, takeover.Replaced, "the chain belongs into the certificate's file; clients' certificates are auth.client_ca and [[client_certificate]]", "auth.client_ca"},
	{`smtpd_tls_(eccert|eckey|dcert|dkey|chain)_files?`, takeover.Understood, "", "tls.certificate"},
	{`smtpd_tls_security_level|smtpd_use_tls|smtpd_enforce_tls|smtpd_tls_auth_only`, takeover.Understood, "STARTTLS is offered everywhere, and needed for log-in", "listen.service"},
	{`smtp_use_tls|smtp_enforce_tls|smtp_tls_enforce_peername|smtp_tls_per_site`, takeover.Replaced, "by its newer name smtp_tls_security_level, or smtp_tls_policy_maps", "outbound.tls_security_level"},
	{`smtp_tls_note_starttls_offer|smtp_tls_CApath|tls_append_default_CA|smtp_tls_scert_verifydepth|smtp_tls_fingerprint_digest|smtp_tls_(secure|verify)_cert_match`, takeover.Replaced, "certificates are judged as docs/TLS.md says", "outbound.tls_ca_file"},
	{`smtp_tls_(cert|key|eccert|eckey|chain)_files?`, takeover.NotSupported, "facteur shows other servers no certificate as a client; a relay that wants one needs another way to log in", ""},
	{`tls_.*|smtp_tls_.*|lmtp_tls_.*|tlsproxy_.*|smtpd_tls_.*`, takeover.NotNeeded, "the TLS library of this program decides it", ""},
	{`smtpd_sasl_auth_enable|smtpd_sasl_type|smtpd_sasl_path|cyrus_sasl_config_path|smtpd_sasl_service`, takeover.Understood, "", "directory.password"},
	{`smtpd_sasl_local_domain`, takeover.Replaced, "accounts are whole addresses; a bare name means the first domain", "domain"},
	{`smtpd_sasl_(security_options|tls_security_options|mechanism_filter)`, takeover.Replaced, "log-in is offered under TLS only, and never anonymous; auth.mechanisms names what is offered", "auth.mechanisms"},
	{`broken_sasl_auth_clients|smtpd_sasl_authenticated_header|send_cyrus_sasl_authzid|smtpd_sasl_response_limit|smtpd_sasl_exceptions_networks`, takeover.NotNeeded, "no client of today needs it", ""},
	{`smtpd_client_auth_rate_limit`, takeover.Replaced, "failed log-ins are counted", "auth.failures_per_client"},
	{`smtpd_client_new_tls_session_rate_limit`, takeover.Replaced, "a failed handshake counts as five connections", "limits.connection_rate"},
	{`smtp_sasl_auth_enable|smtp_sasl_type|smtp_sasl_path|smtp_sasl_auth_.*|smtp_sasl_mechanism_filter|smtp_sasl_(tls_)?(verified_)?security_options|smtp_sasl_tls_verified_security_options`, takeover.Replaced, "with a password known for a relay, facteur logs in, under TLS only", "outbound.password_maps"},
	{`smtp_sender_dependent_authentication`, takeover.Replaced, "a [[relay]] is logged in to as one user; name a second host for a second", "relay"},
	{`smtpd_(client|helo|sender|recipient|relay|data|end_of_data)_restrictions|smtpd_restriction_classes`, takeover.Understood, "", "rule"},
	{`smtpd_etrn_restrictions`, takeover.Replaced, "", "session.etrn"},
	{`smtpd_relay_before_recipient_restrictions|.*_reject_code|.*_defer_code|reject_code|.*_tempfail_action|reject_tempfail_action|smtpd_null_access_lookup_key|smtpd_access_maps|empty_address_.*`, takeover.NotNeeded, "what fails for now is 4xx, what is refused is 5xx; rules name their codes", "rule.then"},
	{`smtpd_policy_service_.*|policyd?[-_].*_time_limit|.*_time_limit`, takeover.Understood, "", "policy.timeout"},
	{`non_smtpd_milters`, takeover.Understood, "", "milter.services"},
	{`milter_.*|internal_mail_filter_classes`, takeover.NotNeeded, "milters get version 6 of the protocol and the usual macros", "milter"},
	{`header_checks|mime_header_checks|nested_header_checks|body_checks|smtp_(header|body|mime_header|nested_header)_checks|milter_header_checks`, takeover.Understood, "", "rule"},
	{`content_filter|smtpd_proxy_filter|smtpd_proxy_.*|receive_override_options`, takeover.Waits, "mail is looked at by milters here; a filter that mail is sent through and back is to be replaced by facteur's own, or by a milter", "milter"},
	{`address_verify_.*|unverified_.*`, takeover.NotSupported, "facteur does not ask other servers whether an address is there; name those that are in relay_recipient_maps", "addresses.relay_recipient_maps"},
	{`postscreen_access_list`, takeover.Replaced, "whom the tests spare: trusted networks, limits.exempt, and who passed", "limits.exempt"},
	{`postscreen_dnsbl_.*|dnsblog_.*|maps_rbl_.*|default_rbl_reply|rbl_reply_maps`, takeover.Waits, "lists in the DNS come with the filter of spam", ""},
	{`postscreen_.*_enable|postscreen_.*_ttl|postscreen_cache_.*|postscreen_.*`, takeover.NotNeeded, "the tests before the greeting are in the same program", "pregreet"},
	{`debug_peer_.*|debugger_command`, takeover.Replaced, "log.level, and facteur explain", "log.level"},
	{`syslog_.*|maillog_file.*|postlog.*|info_log_address_format|respectful_logging|smtpd_client_port_logging|delay_logging_resolution_limit|smtpd_log_access_permit_actions`, takeover.Replaced, "lines keep Postfix's form", "log"},
	{`.*_service_name|service_throttle_time|max_idle|max_use|ipc_.*|fork_.*|daemon_.*|trigger_timeout|application_event_drain_time|import_environment|export_environment|master_service_disable|multi_instance_.*|postmulti_.*|anvil_.*|process_(id|name)|stress|dont_remove|config_directory|flush_.*|fast_flush_.*|service_name`, takeover.NotNeeded, "facteur is one process", ""},
	{`allow_percent_hack|swap_bangpath|resolve_.*|allow_untrusted_routing|allow_min_user`, takeover.NotNeeded, "an address with %, ! or two @ in it leads nowhere else: it is refused", ""},
	{`append_at_myorigin`, takeover.NotNeeded, "a bare name gets addresses.origin", "addresses.origin"},
	{`local_header_rewrite_clients|remote_header_rewrite_domain`, takeover.Understood, "", "rewrite.headers_of"},
	{`propagate_unmatched_extensions|enable_original_recipient|reset_owner_alias|duplicate_filter_limit|hopcount_limit|double_bounce_sender|prepend_delivered_header|frozen_delivered_to|virtual_alias_address_length_limit|default_verp_delimiters|.*verp.*`, takeover.NotNeeded, "facteur's own way is Postfix's default", ""},
	{`relay_transport|default_transport|smtp_fallback_relay|best_mx_transport`, takeover.Understood, "", "transport_map"},
	{`authorized_(flush|mailq|submit)_users`, takeover.Replaced, "who may use sendmail is the mode of its socket, who may see the queue is the group of facteur's", "listen.mode"},
	{`smtp_(connect|helo|mail|rcpt|data_init|data_xfer|data_done|quit|rset|starttls|xforward)_timeout|lmtp_.*_timeout|smtpd_timeout|smtpd_starttls_timeout|smtpd_per_re(cord|quest)_deadline|smtp_per_re(cord|quest)_deadline|smtpd?_min_data_rate|.*_timeout`, takeover.NotNeeded, "waits are those of RFC 5321, shorter under stress", ""},
	{`smtp_host_lookup|smtp_dns_.*|disable_dns_lookups|ignore_mx_lookup_error|smtp_cname_overrides_servername|dnssec_probe|smtpd_dns_reply_filter|dns_.*`, takeover.NotSupported, "facteur asks the DNS, and follows the standard; relays can be named as addresses", "dns"},
	{`smtp_(always_send_ehlo|never_send_ehlo|skip_.*|pix_.*|quote_rfc821_envelope|randomize_addresses|defer_if_no_mx_address_found|line_length_limit|mx_.*|balance_inet_protocols|send_.*|discard_ehlo_.*|bind_address_enforce|address_verify_target|reply_filter|delivery_status_filter|tcp_port)|.*_delivery_status_filter`, takeover.NotNeeded, "facteur's own way is close to Postfix's default", "outbound"},
	{`lmtp_.*`, takeover.Replaced, "LMTP is a kind of transport", "transport"},
	{`smtpd_upstream_proxy_.*`, takeover.Understood, "", "listen.proxy_protocol"},
	{`smtpd_forbid_.*|smtpd_forbidden_commands|smtpd_noop_commands|smtpd_reject_footer.*|smtpd_command_filter|smtpd_history_flush_threshold|smtpd_peername_lookup|smtpd_delay_open_until_valid_rcpt|smtpd_recipient_overshoot_limit|smtpd_discard_ehlo_keyword_address_maps|cleanup_replace_stray_cr_lf|smtpd_service_name`, takeover.NotNeeded, "lines end with CR LF, nothing is smuggled, and what a client may do does not depend on settings", "session"},
	{`permit_mx_backup_networks`, takeover.NotSupported, "say which domains you are a secondary MX for: [[domain]] class = \"relay\"", "domain"},
	{`relay_clientcerts`, takeover.Understood, "", "client_certificate"},
	{`qmqpd_.*`, takeover.NotSupported, "there is no QMQP here", ""},
	{`strict_.*|disable_mime_.*|detect_8bit_encoding_header|mime_.*|header_.*|line_length_limit|message_.*_characters|message_drop_headers|always_add_missing_headers|undisclosed_recipients_header|smtputf8_autodetect_classes|enable_idna2003_compatibility|body_checks_size_limit`, takeover.NotNeeded, "messages are kept as they came", ""},
	{`ldap_.*|mysql_.*|pgsql_.*`, takeover.NotNeeded, "the files of the tables say it", "list"},
}

// remarkOf is what is said of a parameter that Postfix knows.
func remarkOf(name string) (remark, bool) {
	for _, r := range remarks {
		if regexp.MustCompile(`^(?:` + r.names + `)$`).MatchString(name) {
			return r, true
		}
	}
	return remark{}, false
}

// parameterOf is the setting for a parameter.
func parameterOf(name string) (parameter, bool) {
	for _, p := range parameters {
		if p.name == name {
			return p, true
		}
	}
	return parameter{}, false
}

// pace are the parameters of a transport, behind its name.
var pace = map[string]struct {
	key  string
	form form
}{
	"_destination_concurrency_limit":               {"destination_concurrency_limit", asNumber},
	"_initial_destination_concurrency":             {"initial_destination_concurrency", asNumber},
	"_destination_concurrency_failed_cohort_limit": {"destination_concurrency_failed_cohort_limit", asNumber},
	"_destination_rate_delay":                      {"destination_rate_delay", asTime},
	"_destination_recipient_limit":                 {"destination_recipient_limit", asNumber},
	"_time_limit":                                  {"time_limit", asTime},
}

// secret tells that a value is not for the report.
func secret(name string) bool {
	return strings.HasSuffix(name, "_bind_pw") || strings.HasSuffix(name, "_password") || strings.HasSuffix(name, "_passwd")
}
