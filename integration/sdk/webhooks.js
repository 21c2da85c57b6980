// This file holds what the SDK says of webhooks: a line of JSON each on standard
// input, with the body and the headers as they came, and a line with true or
// false for each on standard output.

import { createInterface } from 'node:readline';

import { Nango } from '@nangohq/node';

const nango = new Nango({ host: 'http://127.0.0.1:1', apiKey: 'unused', webhookSigningKey: process.env.SIGNING });

for await (const line of createInterface({ input: process.stdin })) {
    const { body, headers } = JSON.parse(line);
    console.log(nango.verifyIncomingWebhookRequest(body, headers));
}
