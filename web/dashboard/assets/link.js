// The link to the Connect page, where an end user enters a key. It is shown once.
import { ask, explain } from "./api.js";
import { h, dialog, fault, field } from "./dom.js";

// connectLink asks whose connection it is to be, and shows the link.
export function connectLink(integration) {
	const error = h("p", { class: "error", role: "alert" });
	const form = h("form", { autocomplete: "off", novalidate: true },
		field("end_user", "Id of the end user", { maxlength: 255, required: true }, "What your product calls the customer or user whose key it is."), error,
		h("div", { class: "row" }, h("button", { type: "submit", class: "main" }, "Make the link"), h("button", { type: "button", click: () => d.close() }, "Cancel")));
	const d = dialog(`Connect link for ${integration.display_name}`, form);
	form.elements.end_user.focus();
	form.addEventListener("submit", async (event) => {
		event.preventDefault();
		const id = form.elements.end_user.value.trim();
		fault(form, "end_user", id ? "" : "Enter an id.");
		if (!id) {
			form.elements.end_user.focus();
			return;
		}
		const res = await ask("POST", "connect/sessions", { body: { end_user: { id }, allowed_integrations: [integration.unique_key] } });
		if (res.error) {
			error.textContent = (res.error.errors || []).map((f) => f.message).join(" ") || explain(res.error);
			return;
		}
		showLink(d, form, res.answer.data);
	});
}

// reconnectLink makes the link by which the end user enters another key.
export async function reconnectLink(integration, id) {
	const res = await ask("POST", "connect/sessions/reconnect", { body: { connection_id: id, integration_id: integration } });
	const place = h("div", {}, h("p", { role: "alert" }, res.error ? explain(res.error) : ""));
	const d = dialog(`Link for another key of ${id}`, place);
	if (res.error) {
		place.append(h("button", { type: "button", click: () => d.close() }, "Close"));
		return;
	}
	showLink(d, place, res.answer.data);
}

// showLink puts the link in place of what is there. It goes with the dialog.
function showLink(d, place, data) {
	const close = h("button", { type: "button", click: () => d.close() }, "Close");
	if (!data.connect_link) {
		place.replaceWith(h("div", {}, h("p", { role: "alert" }, "The configuration of the API has no connect_url, so that there is no page to link to."), close));
		return;
	}
	const input = h("input", { id: "link", readonly: true, value: data.connect_link, "aria-describedby": "link-hint" });
	const copied = h("p", { role: "status", class: "hint" });
	const copy = h("button", { type: "button", class: "main", click: async () => {
		input.select();
		try {
			await navigator.clipboard.writeText(input.value);
			copied.textContent = "Copied.";
		} catch {
			copied.textContent = "The browser does not let the page copy it: it is selected, copy it with the keyboard.";
		}
	} }, "Copy");
	place.replaceWith(h("div", {}, h("label", { for: "link" }, "Link"), input,
		h("p", { class: "hint", id: "link-hint" }, `Send it to the end user, and to nobody else: who has it can enter one key, once, until ${new Date(data.expires_at).toLocaleTimeString("en")}. It is not shown again.`),
		copied, h("div", { class: "row" }, copy, close)));
	input.focus();
	input.select();
}
