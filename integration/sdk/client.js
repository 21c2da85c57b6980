// This file holds the SDK's client, and how each call of it becomes a line of
// JSON on standard output, which the Go test reads.

import { Nango } from '@nangohq/node';

export const host = process.env.HOST;
export const token = process.env.TOKEN;
export const upstream = process.env.UPSTREAM;
export const keys = JSON.parse(process.env.KEYS);

export const nango = new Nango({ host, secretKey: token });

// step makes one call and prints what a caller of the SDK gets of it: a value, or
// an error with the answer that it holds.
export async function step(name, call) {
    const line = { step: name };
    try {
        line.got = shown(await call());
    } catch (err) {
        line.refused = { message: err.message, ...shown(err.response) };
    }
    console.log(JSON.stringify(line));
    return line.got;
}

// shown leaves the request out of what axios returns.
function shown(got) {
    if (!got?.config || !got.headers) {
        return got;
    }
    return { status: got.status, headers: { ...got.headers }, data: got.data };
}

// send calls what the SDK has no method for.
export async function send(method, path, body) {
    const res = await fetch(host + path, {
        method,
        headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
        body: JSON.stringify(body)
    });
    return { status: res.status, data: await res.json() };
}
