defmodule Shop.Orders do
  @moduledoc "What was ordered."

  alias Shop.Repo
  use GenServer

  defstruct [:id, :lines]

  @type t :: %__MODULE__{}

  @doc """
  Lists the orders of a customer.
  """
  @spec list(integer()) :: [t()]
  def list(customer_id) when is_integer(customer_id) do
    Repo.all(by_customer(customer_id))
  end

  def count, do: Repo.count(__MODULE__)

  defp by_customer(id), do: {:customer, id}

  defmacro traced(block) do
    quote do: unquote(block)
  end

  defguard is_big(n) when n > 100

  defmodule Line do
    defstruct [:sku]
    def price(%__MODULE__{sku: sku}), do: sku
  end
end

defprotocol Priced do
  def price(item)
end

defimpl Priced, for: Shop.Orders do
  def price(order), do: order.lines
end
