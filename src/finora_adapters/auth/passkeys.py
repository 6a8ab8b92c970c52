"""Passkeys by WebAuthn."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import attrs
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import options_to_json_dict
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from finora_adapters.auth.jose import object_of, unpacked
from finora_core.identity.verifiers import BadPasskey, Passkey, PasskeyCloned, PasskeyRefused

_TIMEOUT_MS = 300_000
_MOST = 65_536
_MADE = ("clientDataJSON", "attestationObject")
_SIGNED = ("clientDataJSON", "authenticatorData", "signature")


@attrs.frozen(kw_only=True)
class WebPasskeys:
    """`rp_id` is the site's domain and `origins` its addresses, as browsers write them. Unless
    `verified` is False, the device must have asked its owner for a finger, a face or a code: a
    passkey is then two factors, not one."""

    rp_id: str
    origins: Sequence[str]
    rp_name: str = "Finora"
    verified: bool = True

    def registration(
        self, challenge: bytes, user_id: UUID, name: str, exclude: Sequence[bytes]
    ) -> dict[str, Any]:
        return options_to_json_dict(
            generate_registration_options(
                rp_id=self.rp_id,
                rp_name=self.rp_name,
                user_id=user_id.bytes,
                user_name=name,
                challenge=challenge,
                timeout=_TIMEOUT_MS,
                attestation=AttestationConveyancePreference.NONE,
                authenticator_selection=AuthenticatorSelectionCriteria(
                    resident_key=ResidentKeyRequirement.PREFERRED,
                    user_verification=self._asked,
                ),
                exclude_credentials=[PublicKeyCredentialDescriptor(id=each) for each in exclude],
            )
        )

    def register(self, response: Mapping[str, Any], challenge: bytes) -> Passkey:
        try:
            found = verify_registration_response(
                credential=_read(response, _MADE),
                expected_challenge=challenge,
                expected_rp_id=self.rp_id,
                expected_origin=list(self.origins),
                require_user_verification=self.verified,
            )
            if found.credential_id != unpacked(response["id"]):
                raise ValueError("the id is not that of the passkey")
        # Whatever it raises, and it is of many kinds, came from what a stranger sent.
        except Exception as error:
            raise BadPasskey("this is no new passkey for this site") from error
        return Passkey(
            id=found.credential_id,
            public_key=found.credential_public_key,
            sign_count=found.sign_count,
            synced=found.credential_backed_up,
        )

    def assertion(self, challenge: bytes, allow: Sequence[bytes]) -> dict[str, Any]:
        return options_to_json_dict(
            generate_authentication_options(
                rp_id=self.rp_id,
                challenge=challenge,
                timeout=_TIMEOUT_MS,
                allow_credentials=[PublicKeyCredentialDescriptor(id=each) for each in allow],
                user_verification=self._asked,
            )
        )

    def identify(self, response: Mapping[str, Any]) -> bytes:
        try:
            return unpacked(_read(response, _SIGNED)["id"])
        except ValueError as error:
            raise PasskeyRefused("this is no answer of a passkey") from error

    def assert_(self, response: Mapping[str, Any], challenge: bytes, passkey: Passkey) -> int:
        if self.identify(response) != passkey.id:
            raise PasskeyRefused("this is another passkey")
        try:
            found = verify_authentication_response(
                credential=_read(response, _SIGNED),
                expected_challenge=challenge,
                expected_rp_id=self.rp_id,
                expected_origin=list(self.origins),
                credential_public_key=passkey.public_key,
                # Compared below, for a refusal of its own.
                credential_current_sign_count=0,
                require_user_verification=self.verified,
            )
        # As in register.
        except Exception as error:
            raise PasskeyRefused("the passkey did not sign this challenge") from error
        count, before = found.new_sign_count, passkey.sign_count
        if (count or before) and count <= before:
            raise PasskeyCloned("this passkey's counter did not rise: a copy of it may be in use")
        return count

    @property
    def _asked(self) -> UserVerificationRequirement:
        kinds = UserVerificationRequirement
        return kinds.REQUIRED if self.verified else kinds.PREFERRED


def _read(response: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """What a browser's `toJSON` gave, and no more of it than is looked at. Raises ValueError."""
    inner = response.get("response")
    name = response.get("id")
    if not isinstance(inner, Mapping) or not isinstance(name, str) or not name:
        raise ValueError("it is no credential")
    if response.get("type") != "public-key" or response.get("rawId", name) != name:
        raise ValueError("it is no credential")
    texts = {field: inner.get(field) for field in fields}
    for text in (name, *texts.values()):
        if not isinstance(text, str) or len(text) > _MOST:
            raise ValueError("it is no credential")
        unpacked(text)
    said = object_of(unpacked(str(texts["clientDataJSON"])))
    # In a frame of another site the owner does not see whom they sign in to.
    if said.get("crossOrigin", False) is not False or "topOrigin" in said:
        raise ValueError("it was made in a frame of another site")
    return {"id": name, "rawId": name, "type": "public-key", "response": texts}
