"""What follows from what happens: alarms, who is told of them, webhooks. Workers beside the requests.

`worker.Happenings` follows the journal and writes, in one transaction per tenant: alarms, what their engine has to
remember, what is to be sent, and how far it has come. `deliver.Deliverer` sends webhooks, `mail.Mailer` e-mails. What
lies in the documents when a process dies is what the next one goes on with; nothing is lost in between and nothing is
written twice.
"""
