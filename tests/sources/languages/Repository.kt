package shop.data

import kotlinx.coroutines.flow.Flow

typealias Sku = String

/** One product as it is stored. */
data class Product(val sku: Sku, val price: Long) {
    val isFree: Boolean get() = price == 0L

    fun discounted(percent: Int): Product = copy(price = price * (100 - percent) / 100)

    companion object {
        fun empty() = Product("", 0)
    }
}

sealed interface Outcome {
    object Missing : Outcome
    class Found(val product: Product) : Outcome
}

enum class Color { RED, GREEN; fun next() = values()[(ordinal + 1) % values().size] }

@Singleton
class Repository @Inject constructor(private val dao: Dao) {
    /** Looks a product up. */
    suspend fun find(sku: Sku): Outcome {
        fun wrap(found: Product?) = if (found == null) Outcome.Missing else Outcome.Found(found)
        return wrap(dao.load(sku))
    }

    private inner class Cache
}

fun String.toSku(): Sku = trim().uppercase()

inline fun <reified T> List<T>.second(): T = this[1]
