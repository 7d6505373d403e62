// All cryptography of Aspen, and the only place that names sodium: BLAKE2b-256 with and without
// key, ed25519 key pairs and signatures, sealed boxes, comparison in constant time. Every function
// that needs randomness takes it, so that a simulated cluster is reproducible.

import sodium from 'sodium-universal'
import { assert } from './assert.ts'
import { bytesOf } from './encoding.ts'
import type { Random } from './random.ts'
import { randomBytes } from './random.ts'

export const HASH_BYTES = 32
export const PUBLIC_KEY_BYTES = 32
export const SEED_BYTES = 32
export const SIGNATURE_BYTES = 64
export const SEAL_OVERHEAD_BYTES = 48

/** An ed25519 key pair, in the form that the Noise handshake takes. */
export interface KeyPair {
  /** 32 bytes */
  readonly publicKey: Uint8Array
  /** 64 bytes: seed and public key */
  readonly secretKey: Uint8Array
}

/** BLAKE2b-256 over the concatenation of `parts`. */
export function hash(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(HASH_BYTES)
  sodium.crypto_generichash_batch(out, parts)
  return out
}

/** Keyed BLAKE2b-256 over the concatenation of `parts`; the key has 16 to 64 bytes. */
export function keyedHash(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  assert(key.byteLength >= 16 && key.byteLength <= 64, 'a hash key has 16 to 64 bytes')
  const out = new Uint8Array(HASH_BYTES)
  sodium.crypto_generichash_batch(out, parts, key)
  return out
}

/** The 32 bytes that keep the hashes of one purpose apart from all others. */
export function namespace(purpose: string): Uint8Array {
  return hash(bytesOf(`aspen/${purpose}`))
}

/** The key pair of a 32-byte seed. */
export function keyPairFromSeed(seed: Uint8Array): KeyPair {
  assert(seed.byteLength === SEED_BYTES, 'a seed has 32 bytes')
  const publicKey = new Uint8Array(PUBLIC_KEY_BYTES)
  const secretKey = new Uint8Array(sodium.crypto_sign_SECRETKEYBYTES)
  sodium.crypto_sign_seed_keypair(publicKey, secretKey, seed)
  return { publicKey, secretKey }
}

/** An ed25519 signature, 64 bytes. */
export function sign(message: Uint8Array, secretKey: Uint8Array): Uint8Array {
  const signature = new Uint8Array(SIGNATURE_BYTES)
  sodium.crypto_sign_detached(signature, message, secretKey)
  return signature
}

export function verify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
  if (signature.byteLength !== SIGNATURE_BYTES) return false
  if (publicKey.byteLength !== PUBLIC_KEY_BYTES) return false
  return sodium.crypto_sign_verify_detached(signature, message, publicKey)
}

/**
 * Seals `message` to the holder of an ed25519 public key: libsodium's crypto_box_seal (ephemeral
 * public key ‖ box under nonce = BLAKE2b-192(ephemeral ‖ recipient)), with the ephemeral key drawn
 * from `random`.
 */
export function seal(message: Uint8Array, publicKey: Uint8Array, random: Random): Uint8Array {
  const recipient = new Uint8Array(PUBLIC_KEY_BYTES)
  sodium.crypto_sign_ed25519_pk_to_curve25519(recipient, publicKey)
  const ephemeralPublic = new Uint8Array(PUBLIC_KEY_BYTES)
  const ephemeralSecret = new Uint8Array(PUBLIC_KEY_BYTES)
  sodium.crypto_box_seed_keypair(ephemeralPublic, ephemeralSecret, randomBytes(random, SEED_BYTES))
  const nonce = new Uint8Array(sodium.crypto_box_NONCEBYTES)
  sodium.crypto_generichash_batch(nonce, [ephemeralPublic, recipient])
  const sealed = new Uint8Array(message.byteLength + SEAL_OVERHEAD_BYTES)
  sealed.set(ephemeralPublic)
  const box = sealed.subarray(PUBLIC_KEY_BYTES)
  sodium.crypto_box_easy(box, message, nonce, recipient, ephemeralSecret)
  return sealed
}

/** Opens what was sealed to `keyPair` (ed25519); null when it was not. */
export function openSealed(sealed: Uint8Array, keyPair: KeyPair): Uint8Array | null {
  if (sealed.byteLength < SEAL_OVERHEAD_BYTES) return null
  const publicKey = new Uint8Array(PUBLIC_KEY_BYTES)
  const secretKey = new Uint8Array(PUBLIC_KEY_BYTES)
  sodium.crypto_sign_ed25519_pk_to_curve25519(publicKey, keyPair.publicKey)
  sodium.crypto_sign_ed25519_sk_to_curve25519(secretKey, keyPair.secretKey)
  const message = new Uint8Array(sealed.byteLength - SEAL_OVERHEAD_BYTES)
  return sodium.crypto_box_seal_open(message, sealed, publicKey, secretKey) ? message : null
}

/** Comparison in time that does not depend on where the bytes differ. */
export function equalSecret(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && sodium.sodium_memcmp(a, b)
}
