// Package amavis reads the settings of an amavisd-new and says them in facteur's words.
//
// # What is read
//
// amavisd.conf, or a directory such as /etc/amavis with its files conf.d/NN-name in their
// order, and what they assign: scalars and lists of strings, numbers, qw(), undef and D_
// constants, with "." between strings and $mydomain in them. Perl is not run: an assignment
// that would have to be computed is told as such, and nothing is made of it.
//
// Policies of users and their lists are read from tables that are text: a line with the
// names of the columns, then a line for each row, with tabs between the fields, as
// "mysql --batch" and "sqlite3 -header -tabs" print them. Their names are those of amavis
// (users, policy, wblist, mailaddr) or of ISPConfig (spamfilter_users, spamfilter_policy,
// spamfilter_wblist), with .tsv behind.
//
// # What becomes of it
//
// Levels, destinies, the tag and the senders that are allowed and blocked become [filter],
// [[filter_policy]] and [[filter_list]]. Each line and each row gets a verdict; passwords of
// databases are in no report. Files may have 16 MiB each.
package amavis
