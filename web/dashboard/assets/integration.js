// One integration: its form, what is done with it, and its connections.
import { ask, can, canTouchAll, explain, integrationPath } from "./api.js";
import { actions, h, badge, button, dialog, fault, field, notice, pairs, view } from "./dom.js";
import { connectLink } from "./link.js";
import { confirmDelete } from "./remove.js";
import { list } from "./overview.js";

// fields are those of the form, and where they are in the body: at the top of it,
// or in integration_config.
const fields = {
	unique_key: { label: "Unique key", hint: "What calls name it by: letters, digits, spaces and ~ : . @ _ -", top: true, required: true },
	display_name: { label: "Display name", hint: "What end users see. Default: the unique key.", top: true },
	baseUrl: { label: "Base URL", hint: "Where the API is: https://api.acme.com/v1", required: true },
	keyPlacement: { label: "Key placement", options: ["header", "query"] },
	keyName: { label: "Key name", hint: "The header or query parameter that the key goes into.", required: true },
	valueTemplate: { label: "Value template", hint: "What is put there, with ${apiKey} in place of the key. Default: ${apiKey}" },
	keyLabel: { label: "Key label", hint: "What the field of the Connect page is called. Default: API Key" },
};

// valueOf returns what a field holds in an integration as the API has it.
const valueOf = (i, name) => (fields[name].top ? i[name] : i.integration_config[name]) ?? "";

// bodyOf returns what was changed in the form, all of it for a new integration.
function bodyOf(form, old) {
	const body = old ? {} : { provider: "private-api-generic" };
	for (const name of Object.keys(fields)) {
		const value = form.elements[name].value.trim();
		if (old ? value === valueOf(old, name) : value === "" && !fields[name].required) {
			continue;
		}
		if (fields[name].top) {
			body[name] = value;
		} else {
			(body.integration_config ??= {})[name] = value;
		}
	}
	if (!old) {
		body.integration_config ??= {};
	}
	return body;
}

// entry is the form, for a new integration when old is null.
function entry(old, etag, saved) {
	const form = h("form", { class: "card", autocomplete: "off", novalidate: true, "aria-label": "Integration" },
		...Object.entries(fields).map(([name, f]) => field(name, f.label, { value: old ? valueOf(old, name) : "", options: f.options, required: f.required }, f.hint)));
	const error = h("p", { class: "error", role: "alert" });
	const submit = h("button", { type: "submit", class: "main" }, old ? "Save" : "Create");
	const again = h("button", { type: "button", hidden: true, click: () => view.reload() }, "Load it as it is now");
	form.append(error, h("div", { class: "row" }, submit, again));
	form.addEventListener("submit", async (event) => {
		event.preventDefault();
		if (submit.getAttribute("aria-busy") === "true") {
			return;
		}
		submit.setAttribute("aria-busy", "true");
		notice("");
		error.textContent = "";
		Object.keys(fields).forEach((name) => fault(form, name, ""));
		const { answer, error: wrong } = await ask(old ? "PATCH" : "POST", old ? integrationPath(old.unique_key) : "integrations", { body: bodyOf(form, old), match: etag });
		if (!wrong) {
			await saved(answer); // then this form is gone
			return;
		}
		submit.removeAttribute("aria-busy");
		again.hidden = wrong.status !== 412;
		const rest = point(form, wrong.errors || []);
		error.textContent = [wrong.errors ? "" : explain(wrong), ...rest].filter(Boolean).join(" ");
		(form.querySelector("[aria-invalid]") || submit).focus();
	});
	return form;
}

// point shows faults next to their fields, and returns those that have none.
function point(form, faults) {
	const rest = [];
	for (const f of faults) {
		const name = f.path.at(-1);
		if (Object.hasOwn(fields, name)) {
			fault(form, name, f.detail ? `${f.message}: ${f.detail}` : f.message);
		} else {
			rest.push(f.message);
		}
	}
	return rest;
}

const told = (text, answer) => [text, ...(answer.warnings || []).map((w) => `Note: ${w}.`)].join(" ");

// integration shows one, or the form for a new one.
export async function integration(key) {
	if (key === null) {
		return {
			content: [h("h1", { tabindex: "-1" }, "New integration"), entry(null, null, (answer) => {
				location.hash = `#/integrations/${encodeURIComponent(answer.data.unique_key)}`;
				window.addEventListener("hashchange", () => notice(told("It was created.", answer)), { once: true });
			})],
		};
	}
	const { answer, etag, error } = await ask("GET", integrationPath(key));
	if (error) {
		return { error };
	}
	const i = answer.data;
	const connections = can("status") || can("connections:read") ? list(key) : null;
	const totals = (await connections?.refresh())?.totals;

	const writable = i.source === "api" && can("integrations:write");
	const form = writable ? entry(i, etag, async (saved) => {
		const to = `#/integrations/${encodeURIComponent(saved.data.unique_key)}`;
		if (location.hash !== to) {
			history.replaceState(null, "", to);
		}
		await view.reload();
		notice(told("It was saved.", saved));
	}) : h("section", { class: "card", "aria-label": "Integration" }, pairs(Object.keys(fields).map((name) => [fields[name].label, valueOf(i, name)])),
		h("p", { class: "muted" }, i.source === "api" ? "The token may not change it." : "It is defined in the Caddy config, and can be changed there only."));

	const act = (text, path, done) => button(text, "", async () => {
		const res = await ask("POST", integrationPath(key, path));
		if (!res.error) {
			await view.reload();
		}
		notice(res.error ? explain(res.error) : done(res.answer));
	});
	return {
		refresh: connections?.refresh,
		content: [
			h("div", { class: "row apart" }, h("h1", { tabindex: "-1" }, i.display_name), i.disabled ? badge("disabled") : null),
			actions(
				can("connect_sessions:write") && canTouchAll() ? button("Make a Connect link", "main", () => connectLink(i)) : null,
				writable && (i.disabled ? act("Enable", "/enable", () => "It is enabled.") : act("Disable", "/disable", () => "It is disabled: every request of it is refused.")),
				i.source === "api" && can("connections:write") && canTouchAll() && totals?.origin_changed !== 0 ? button("Confirm the origin", "", () => confirmOrigin(i, etag)) : null,
				writable ? button("Delete", "danger", () => confirmDelete({
					what: `integration ${i.display_name}`, name: i.unique_key, warning: "Its connections go with it, and every version of their keys is destroyed.",
					path: integrationPath(key), query: { force: "true" }, match: etag, then: "#/integrations",
				})) : null),
			connections?.content, form,
		].filter(Boolean),
	};
}

// confirmOrigin asks before keys follow an integration to where it leads now.
function confirmOrigin(i, etag) {
	const error = h("p", { class: "error", role: "alert" });
	const d = dialog("Confirm the origin",
		h("p", {}, "Connections whose keys were entered for another origin send them to this one from now on:"),
		h("p", {}, h("code", {}, i.integration_config.baseUrl)), error,
		h("div", { class: "row" }, button("Send the keys there", "main", async () => {
			const res = await ask("POST", integrationPath(i.unique_key, "/confirm_origin"), { match: etag });
			if (res.error) {
				error.textContent = explain(res.error);
				return;
			}
			d.close();
			await view.reload();
			notice(res.answer.confirmed === 1 ? "One connection follows." : `${res.answer.confirmed} connections follow.`);
		}), button("Cancel", "", () => d.close())));
}
