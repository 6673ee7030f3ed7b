(** What is stored, by key. *)

module StringMap = Map.Make (String)

type 'a entry = { key : string; value : 'a }

exception Missing of string

module type STORE = sig
  type t
  val find : t -> string -> int
end

module Memory : STORE = struct
  type t = int StringMap.t

  (** Looks a key up. *)
  let find store key =
    match StringMap.find_opt key store with
    | Some value -> value
    | None -> raise (Missing key)

  let rec sum = function [] -> 0 | x :: rest -> x + sum rest
end

class counter = object
  val mutable n = 0
  method next = n <- n + 1; n
end

let limit = 10

let () = print_endline "ready"

external now : unit -> float = "caml_now"
