# All that the sample may do, and all that nestjs-vault needs for credentials from one role. It is enough without
# the `default` policy; where tokens carry that one (they do unless token_no_default_policy is set), it grants the
# last five of these already.

# Issue keys of AWS.
path "aws/sts/reports" {
  capabilities = ["read"]
}

# Renew their leases, and have a superseded one end early (a renewal with a short increment).
path "sys/leases/renew" {
  capabilities = ["update"]
}

# Find out whether a lease still lives, where the database refuses its user.
path "sys/leases/lookup" {
  capabilities = ["update"]
}

# Renew the own token, end it at shutdown (and so every user it made), and find out whether it still lives.
path "auth/token/renew-self" {
  capabilities = ["update"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
